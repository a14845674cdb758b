-- migrate:up
-- What each department is told of its cases: its topic, its queue and its stream are made from it.
-- Safe beside a running version: it only adds.
SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '30s';

CREATE TABLE task (
    tenant_id   text NOT NULL,
    department  text NOT NULL,
    case_id     uuid NOT NULL,
    task_seq    integer NOT NULL CHECK (task_seq > 0),
    task_id     uuid NOT NULL,  -- of its event: derived
    n           bigint GENERATED ALWAYS AS IDENTITY,
    type        text NOT NULL,
    occurred_at timestamptz NOT NULL,
    body        jsonb NOT NULL,
    sent        boolean NOT NULL,  -- handed to the outbox; if not, its topic is not there yet
    position    bigint,  -- in its department's stream; NULL: nobody has looked yet
    lease_id    uuid,
    lease_until timestamptz,  -- real time; it is nobody's before, and anybody's after
    acked_at    timestamptz,
    PRIMARY KEY (tenant_id, department, case_id, task_seq),
    UNIQUE (tenant_id, task_id),
    CHECK (lease_id IS NULL OR lease_until IS NOT NULL)
);
CREATE INDEX task_held ON task (tenant_id, department, case_id) WHERE NOT sent;
-- The queue: the oldest first, and of a case the first alone.
CREATE INDEX task_queue ON task (tenant_id, department, n) WHERE acked_at IS NULL;
CREATE INDEX task_behind ON task (tenant_id, department, case_id, task_seq)
WHERE acked_at IS NULL;
CREATE UNIQUE INDEX task_stream ON task (tenant_id, department, position)
WHERE position IS NOT NULL;
CREATE INDEX task_unplaced ON task (tenant_id, department, n) WHERE position IS NULL;

-- Departments whose topic was seen: what is told to others waits in `task`.
CREATE TABLE department_topic (
    tenant_id  text NOT NULL,
    department text NOT NULL,
    seen_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, department)
);

-- migrate:down
-- Forward only.
