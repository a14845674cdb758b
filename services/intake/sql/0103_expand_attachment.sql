-- migrate:up
-- Which cases have which attachments, and in whose hands these cases are: projections of
-- routing.events, from this version on. Safe beside a running version.
SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '30s';

CREATE TABLE case_attachment (
    tenant_id     text NOT NULL,
    attachment_id text NOT NULL,
    case_id       uuid NOT NULL,
    PRIMARY KEY (tenant_id, attachment_id, case_id)
);

CREATE TABLE case_reach (
    tenant_id text NOT NULL,
    case_id   uuid NOT NULL,
    reach     jsonb NOT NULL,
    PRIMARY KEY (tenant_id, case_id)
);

-- migrate:down
-- Forward only.
