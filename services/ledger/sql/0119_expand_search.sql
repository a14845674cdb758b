-- migrate:up
-- Look-ups that found nothing, beside what was unmasked of a day; and of which household a case was
-- reported. Safe beside a running version, but facts wait while `case_ledger` is written anew, once.
SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '900s';

ALTER TABLE unmask_spent
ADD COLUMN searches integer NOT NULL DEFAULT 0,
-- squawk-ignore ban-drop-constraint
DROP CONSTRAINT unmask_spent_fields_check,
ADD CONSTRAINT unmask_spent_counted CHECK (fields >= 0 AND searches >= 0) NOT VALID;

-- A fact is kept as it came: one that cannot be read names no household.
CREATE FUNCTION reported_household(type text, subject text, body bytea) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    named json;
BEGIN
    IF type <> 'case.reported.v1' OR NOT pg_input_is_valid(subject, 'uuid') THEN
        RETURN NULL;
    END IF;
    named := convert_from(body, 'UTF8')::json #> '{location,household_id}';
    RETURN CASE WHEN json_typeof(named) = 'string' THEN named #>> '{}' END;
EXCEPTION
    WHEN data_exception OR untranslatable_character OR statement_too_complex THEN
        RETURN NULL;
END
$$;

ALTER TABLE case_ledger
-- squawk-ignore adding-field-with-default
ADD COLUMN household text GENERATED ALWAYS AS (reported_household(type, subject, body)) STORED;

-- squawk-ignore require-concurrent-index-creation
CREATE INDEX case_ledger_household ON case_ledger (tenant_id, household)
WHERE household IS NOT NULL;

-- migrate:down
-- Forward only.
