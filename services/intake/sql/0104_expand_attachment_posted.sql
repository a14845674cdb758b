-- migrate:up
-- Attachments that were posted of late, until it is clear whether a case names them. What was posted
-- before has no row and stays. Safe beside a running version, whose attachments have no row either.
SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '30s';

CREATE TABLE attachment_posted (
    tenant_id     text NOT NULL,
    attachment_id text NOT NULL,
    front_end     text NOT NULL,
    bytes         bigint NOT NULL,
    named         boolean NOT NULL,
    hidden        boolean NOT NULL DEFAULT false,
    due_at        timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, attachment_id)
);
CREATE INDEX attachment_posted_due ON attachment_posted (due_at);
CREATE INDEX attachment_posted_unnamed ON attachment_posted (tenant_id, front_end)
INCLUDE (bytes) WHERE NOT named;

-- migrate:down
-- Forward only.
