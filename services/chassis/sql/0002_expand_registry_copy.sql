-- migrate:up
-- A reader's own copy of the registry, with the open tail of a change set beside it.
SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '30s';

CREATE TABLE registry_copy (
    tenant_id  text NOT NULL,
    kind       text NOT NULL,
    record_id  text NOT NULL,
    body       jsonb NOT NULL,
    valid_from timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, kind, record_id)
);

CREATE TABLE registry_staged (  -- not in force yet: the rest of its set has not come
    tenant_id  text NOT NULL,
    n          bigint GENERATED ALWAYS AS IDENTITY,
    kind       text NOT NULL,
    record_id  text NOT NULL,
    change_set text NOT NULL,
    last       boolean NOT NULL,
    valid_from timestamptz NOT NULL,
    body       jsonb,  -- NULL: the record is removed
    PRIMARY KEY (tenant_id, n)
);

CREATE TABLE registry_version (  -- counts the sets applied; what is compiled from a copy names it
    tenant_id text PRIMARY KEY,
    version   bigint NOT NULL
);

-- migrate:down
-- Forward only.
