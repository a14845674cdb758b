-- migrate:up
-- Who belongs to a sensitive group, apart from the registry: a row tells neither whom nor which.
-- Safe beside a running version: it only adds.
SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '30s';

CREATE TABLE sensitive_entry (
    tenant_id   text NOT NULL,
    place       text NOT NULL,  -- sealed texts are bound to it: a keyed digest of group and person
    person      text NOT NULL,  -- a keyed digest of the person alone
    sealed      jsonb NOT NULL,
    version     integer NOT NULL CHECK (version > 0),
    recorded_by text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at    timestamptz,  -- the town's time
    PRIMARY KEY (tenant_id, place)
);
CREATE INDEX sensitive_entry_person ON sensitive_entry (tenant_id, person);

ALTER TABLE sensitive_entry ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON sensitive_entry
USING (tenant_id = current_setting('chuishao.tenant', TRUE))
WITH CHECK (tenant_id = current_setting('chuishao.tenant', TRUE));
GRANT SELECT, INSERT, UPDATE, DELETE ON sensitive_entry TO ledger_service;

-- migrate:down
-- Forward only.
