-- migrate:up
-- The second wall: a role that owns nothing, for the service, and policies by which it sees and
-- writes rows of the tenant that it has named, and no others. The owner passes, so a version that
-- runs as the owner goes on as before: safe beside it. Behind a policy only a condition on a column
-- of its own reads an index, since `->>` might tell of a row before the policy is asked: see 0116.
SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '30s';

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'ledger_service') THEN
        CREATE ROLE ledger_service;
    END IF;
EXCEPTION
    WHEN duplicate_object OR unique_violation THEN NULL;  -- made for another database just now
    WHEN insufficient_privilege THEN
        RAISE EXCEPTION '没有角色 ledger_service，请超级用户先建 · there is no role ledger_service'
            USING HINT = 'CREATE ROLE ledger_service LOGIN PASSWORD ''…''',
            ERRCODE = 'insufficient_privilege';
END
$$;

-- Every table that tells a tenant, but for the inbox, which holds ids alone and is asked for those
-- of several tenants at once.
DO $$
DECLARE
    walled text;
BEGIN
    FOR walled IN
        SELECT table_name
        FROM information_schema.columns
        WHERE table_schema = current_schema
            AND column_name = 'tenant_id'
            AND table_name <> 'inbox'
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', walled);
        EXECUTE format(
            'CREATE POLICY tenant ON %I '
            'USING (tenant_id = current_setting(''chuishao.tenant'', true)) '
            'WITH CHECK (tenant_id = current_setting(''chuishao.tenant'', true))',
            walled
        );
    END LOOP;
END
$$;

-- The sealer and the clock of what falls due find by these whose turn it is.
CREATE POLICY every_tenant ON audit FOR SELECT
USING (current_setting('chuishao.every_tenant', true) = 'on');
CREATE POLICY every_tenant ON audit_seal FOR SELECT
USING (current_setting('chuishao.every_tenant', true) = 'on');
CREATE POLICY every_tenant ON change_due FOR SELECT
USING (current_setting('chuishao.every_tenant', true) = 'on');

-- What the service does, and no more: history, facts and acts are never changed, but for what an
-- erasure takes out of a body.
GRANT SELECT, INSERT ON
change_set, registry_record, case_ledger, erasure, audit, audit_seal TO ledger_service;
GRANT UPDATE (body) ON registry_record TO ledger_service;
GRANT SELECT, INSERT, UPDATE ON case_now, slot, unmask_spent TO ledger_service;
GRANT SELECT, INSERT, DELETE ON registry_index, change_due, audit_unsealed TO ledger_service;

GRANT SELECT, INSERT ON inbox, outbox_parked TO ledger_service;
GRANT SELECT, INSERT, UPDATE ON processed_offset TO ledger_service;
GRANT SELECT, INSERT, DELETE ON outbox TO ledger_service;
GRANT SELECT, INSERT, UPDATE, DELETE ON quarantine TO ledger_service;
GRANT SELECT, UPDATE, DELETE ON quarantine_release TO ledger_service;
GRANT INSERT ON quarantine_act TO ledger_service;

-- migrate:down
-- Forward only.
