-- migrate:up
-- What staff find in their app. It only adds, so it is safe beside a running version.
SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '30s';

CREATE TABLE inbox_message (
    tenant_id  text NOT NULL,
    staff      text NOT NULL,
    message_id uuid NOT NULL,  -- the intent's
    case_id    uuid NOT NULL,
    notice     text NOT NULL,
    words      text NOT NULL,  -- a reviewed text, filled; nothing personal
    stored_at  timestamptz NOT NULL DEFAULT now(),
    read_at    timestamptz,
    PRIMARY KEY (tenant_id, staff, message_id)
);
CREATE INDEX inbox_message_unread ON inbox_message (tenant_id, staff, stored_at, message_id)
WHERE read_at IS NULL;
CREATE INDEX inbox_message_read ON inbox_message (tenant_id, staff, stored_at, message_id)
WHERE read_at IS NOT NULL;

-- migrate:down
-- Forward only.
