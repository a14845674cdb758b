-- migrate:up
-- Whose personal texts were erased, by whom and why. Safe beside a running version: it only adds.
SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '30s';

CREATE TABLE erasure (
    tenant_id     text NOT NULL,
    change_set_id text NOT NULL,  -- by which the record was removed
    kind          text NOT NULL,
    record_id     text NOT NULL,
    erased_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    erased_by     text NOT NULL,
    reason        text NOT NULL,
    PRIMARY KEY (tenant_id, change_set_id)
);
CREATE INDEX erasure_record ON erasure (tenant_id, kind, record_id, erased_at);

-- migrate:down
-- Forward only.
