-- migrate:up
-- The departments that whistles call, as the board shows them. Safe beside a running version: it
-- only adds, and the old one neither reads nor names what is new.
SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '30s';

CREATE TABLE board_slot (
    tenant_id  text NOT NULL,
    case_id    uuid NOT NULL,
    whistle_id uuid NOT NULL,
    department text NOT NULL,
    lead       boolean NOT NULL,
    place      integer NOT NULL,  -- among those called at once, the lead first
    blown_at   timestamptz NOT NULL,
    due_at     timestamptz,  -- NULL: its clock cannot be told yet
    lamp       text NOT NULL CHECK (
        lamp IN ('waiting', 'reported', 'late', 'missed', 'refused', 'withdrawn')
    ),
    came_at    timestamptz,
    PRIMARY KEY (tenant_id, case_id, whistle_id, department),
    CHECK ((lamp IN ('reported', 'late')) = (came_at IS NOT NULL))
);
CREATE INDEX board_slot_awaited ON board_slot (tenant_id, case_id)
WHERE lamp IN ('waiting', 'missed');

ALTER TABLE board_act ADD COLUMN departments jsonb NOT NULL DEFAULT '[]';
ALTER TABLE board_act ADD COLUMN to_level text;

-- migrate:down
-- Forward only.
