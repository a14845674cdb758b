-- migrate:up
-- What has been unmasked of somebody's budget of a day; and an index over what is sealed, which
-- tells whether two texts are one and no word of either. Safe beside a running version: it only
-- adds. Records of before are found once `chuishao registry reindex` has been run.
SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '300s';

CREATE TABLE unmask_spent (
    tenant_id text NOT NULL,
    staff     text NOT NULL,
    day       date NOT NULL,  -- the town's
    fields    integer NOT NULL CHECK (fields > 0),
    PRIMARY KEY (tenant_id, staff, day)
);

CREATE TABLE registry_index (  -- of every version that has been; who looks checks the one that holds
    tenant_id text NOT NULL,
    token     bytea NOT NULL CHECK (octet_length(token) = 16),
    kind      text NOT NULL,
    record_id text NOT NULL,
    PRIMARY KEY (tenant_id, token, kind, record_id)
);
CREATE INDEX registry_index_record ON registry_index (tenant_id, kind, record_id);  -- for erasure

-- migrate:down
-- Forward only.
