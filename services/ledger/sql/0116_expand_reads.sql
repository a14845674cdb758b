-- migrate:up
-- Where a record belongs, and what a link leads to, as columns: by these pages and look-ups read.
-- Safe beside a running version, but doors wait while `registry_record` is written anew, once:
-- a second or two for each 100,000 versions.
SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '900s';

ALTER TABLE registry_record
-- squawk-ignore adding-field-with-default
ADD COLUMN place text GENERATED ALWAYS AS (
    coalesce(body ->> 'grid', body ->> 'household', body ->> 'parent', body ->> 'unit')
) STORED,
-- squawk-ignore adding-field-with-default
ADD COLUMN head text GENERATED ALWAYS AS (
    CASE WHEN kind = 'household' THEN body ->> 'head' END
) STORED,
-- squawk-ignore adding-field-with-default
ADD COLUMN link_to text GENERATED ALWAYS AS (
    CASE WHEN kind = 'link' THEN body ->> 'to' END
) STORED,
-- squawk-ignore adding-field-with-default
ADD COLUMN link_staff text GENERATED ALWAYS AS (
    CASE WHEN kind = 'link' THEN body ->> 'staff' END
) STORED;

-- squawk-ignore require-concurrent-index-creation
CREATE INDEX registry_record_in_place
ON registry_record (tenant_id, kind, place, record_id);
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX registry_record_head_of
ON registry_record (tenant_id, head, record_id)
WHERE kind = 'household';
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX registry_record_link_to
ON registry_record (tenant_id, link_to, record_id)
WHERE kind = 'link';
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX registry_record_link_staff
ON registry_record (tenant_id, link_staff, record_id)
WHERE kind = 'link';

-- Who lives where, of many at once and without a look at any body: for coverage and a grid's page.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX registry_record_lodger
ON registry_record (tenant_id, record_id, valid_from DESC, version DESC) INCLUDE (place, recorded_at)
WHERE kind = 'person';

-- migrate:down
-- Forward only.
