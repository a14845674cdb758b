-- migrate:up
-- Why a set was recorded; and what the registry was, as of one moment and as known on another.
-- Safe beside a running version: it only adds. Sets are not recorded while the indexes are built.
SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '300s';

ALTER TABLE change_set ADD COLUMN reason text;

-- Which version of a record holds: the first by this index that is neither later nor unknown.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX registry_record_time
ON registry_record (tenant_id, kind, record_id, valid_from DESC, version DESC);

-- What holds from a moment to come: readers are told then.
CREATE TABLE change_due (
    tenant_id     text NOT NULL,
    valid_from    timestamptz NOT NULL,  -- the town's time
    change_set_id text NOT NULL,
    n             integer NOT NULL,  -- the record's place in its set
    kind          text NOT NULL,
    record_id     text NOT NULL,
    PRIMARY KEY (tenant_id, valid_from, change_set_id, n)
);

-- migrate:down
-- Forward only.
