-- migrate:up
-- What notify knows of each case, whom it means to tell, and every try. It only adds.
SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '30s';

CREATE TABLE cases (
    tenant_id       text NOT NULL,
    case_id         uuid NOT NULL,
    number          text NOT NULL,
    category        text NOT NULL,
    severity        text NOT NULL,
    class           text NOT NULL,
    grid            text,
    village         text,
    owner_unit      text NOT NULL,
    owner_role      text NOT NULL,
    owner_staff     text,
    profile_version integer NOT NULL,
    closed          boolean NOT NULL,
    reporter        jsonb,  -- sealed contacts with their wrapped key
    PRIMARY KEY (tenant_id, case_id)
);

CREATE TABLE intent (
    tenant_id   text NOT NULL,
    intent_id   uuid NOT NULL,  -- derived from cause, rule and recipient: each is told once
    case_id     uuid NOT NULL,
    event_id    uuid NOT NULL,  -- the cause
    traceparent text NOT NULL,
    notice      text NOT NULL,
    rule        text NOT NULL,
    recipient   text NOT NULL,  -- a staff id, `reporter`, or `role:…` where nobody is rostered
    channels    text[] NOT NULL,  -- in the order in which they are tried
    tries_max   integer NOT NULL CHECK (tries_max >= 1),
    wait_s      double precision NOT NULL CHECK (wait_s >= 0),
    words       jsonb NOT NULL,  -- what the text names; nothing personal
    due_at      timestamptz,
    timezone    text NOT NULL,  -- on whose wall clock the text says by when
    state       text NOT NULL
        CHECK (state IN ('open', 'accepted', 'delivered', 'failed', 'void')),
    code        text,  -- why it failed
    channel     text NOT NULL,  -- whose turn it is; `none`: nobody's
    next_at     timestamptz NOT NULL,  -- real time; during a send, the end of its lease
    created_at  timestamptz NOT NULL DEFAULT now(),
    decided_at  timestamptz,
    PRIMARY KEY (tenant_id, intent_id),
    CHECK ((state = 'failed') = (code IS NOT NULL))
);
CREATE INDEX intent_due ON intent (channel, next_at) WHERE state = 'open';
CREATE INDEX intent_case ON intent (tenant_id, case_id);

CREATE TABLE attempt (
    tenant_id   text NOT NULL,
    intent_id   uuid NOT NULL,
    number      integer NOT NULL CHECK (number >= 1),
    attempt_id  uuid NOT NULL,  -- what the provider gets as our reference
    channel     text NOT NULL,
    state       text NOT NULL CHECK (state IN (
        'sending', 'skipped', 'accepted', 'delivered', 'undelivered', 'retry', 'paused',
        'refused', 'unknown', 'lost', 'unresolved'
    )),
    code        text,
    contact     text,  -- masked
    provider_id text,
    segments    integer,
    started_at  timestamptz NOT NULL DEFAULT now(),
    decided_at  timestamptz,
    PRIMARY KEY (tenant_id, intent_id, number)
);
-- A receipt names nothing but this; the id is derived from the tenant's.
CREATE UNIQUE INDEX attempt_reference ON attempt (attempt_id);
-- No second send while what became of the first is open.
CREATE UNIQUE INDEX attempt_under_way ON attempt (tenant_id, intent_id)
    WHERE state IN ('sending', 'unknown');

CREATE TABLE channel_pause (  -- of the provider's account, which serves every tenant
    channel text PRIMARY KEY,
    until   timestamptz NOT NULL,
    code    text NOT NULL
);

CREATE TABLE receipt (  -- as told, by whoever cannot know a tenant
    provider     text NOT NULL,
    provider_id  text NOT NULL,
    phone_digest text NOT NULL,
    reference    text NOT NULL,
    success      boolean NOT NULL,
    code         text NOT NULL,
    received_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (provider, provider_id, phone_digest)
);

-- migrate:down
-- Forward only.
