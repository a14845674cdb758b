-- migrate:up
SET LOCAL lock_timeout = '2s';
SET LOCAL statement_timeout = '5min';

-- Whose head somebody is: asked before a person is removed.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX registry_record_head
ON registry_record (tenant_id, (body ->> 'head'), record_id)
WHERE kind = 'household';

-- migrate:down
-- Forward only.
