-- migrate:up
-- Who did what to the registry, written with the act and never changed; and the chain that is
-- sealed behind it, so that a change shows. Safe beside a running version: it only adds.
SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '30s';

CREATE TABLE audit (
    seq           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id     text NOT NULL,
    at            timestamptz NOT NULL DEFAULT clock_timestamp() CHECK (isfinite(at)),
    actor         text NOT NULL,
    on_behalf     text,
    verb          text NOT NULL,
    object        text NOT NULL,
    fields        text [] NOT NULL,
    reason        text,
    request_id    text,
    decision      text NOT NULL CHECK (decision IN ('allowed', 'refused')),
    before_digest text,
    after_digest  text
);
CREATE INDEX audit_tenant ON audit (tenant_id, seq);

CREATE TABLE audit_unsealed (  -- acts that wait for their place in the chain
    seq bigint PRIMARY KEY,
    at  timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE audit_seal (  -- a town's acts in their order, each bound to all before it
    tenant_id text NOT NULL,
    n         bigint NOT NULL CHECK (n > 0),
    seq       bigint NOT NULL UNIQUE,
    hash      bytea NOT NULL,
    sealed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, n)
);

CREATE FUNCTION audit_is_append_only() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    RAISE EXCEPTION '审计只增不改：% 不许 % · audit is append only: no % on %',
        TG_TABLE_NAME, TG_OP, TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END
$$;

CREATE TRIGGER audit_append_only
BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only();
CREATE TRIGGER audit_seal_append_only
BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_seal
FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only();
-- Also in a session that has switched triggers off (session_replication_role).
ALTER TABLE audit ENABLE ALWAYS TRIGGER audit_append_only;
ALTER TABLE audit_seal ENABLE ALWAYS TRIGGER audit_seal_append_only;

-- The service's role owns its tables: this holds until it, or a superuser, grants them again.
REVOKE UPDATE, DELETE, TRUNCATE ON audit, audit_seal FROM CURRENT_USER;

-- migrate:down
-- Forward only.
