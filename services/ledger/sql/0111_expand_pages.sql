-- migrate:up
-- Pages of a grid and of a household: its cases.
-- Safe beside a running version: it only adds. Nothing is recorded while the index is built.
SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '300s';

-- squawk-ignore require-concurrent-index-creation
CREATE INDEX case_now_grid ON case_now (tenant_id, grid, number);

-- migrate:down
-- Forward only.
