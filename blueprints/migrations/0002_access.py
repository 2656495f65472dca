"""Row level security of blueprints, and a trigger that keeps versions as they were reviewed."""

from django.db import migrations

from audit.rowsecurity import EnableRowSecurity

OWNED = ("blueprint", "version", "fork", "changerequest", "layer", "repository", "patternrequest")
HISTORIES = ("historicalblueprint", "historicalfork", "historicallayer", "historicalrepository")

# What was reviewed is what runs: the content of a version never changes, and a decision on it is made once.
IMMUTABLE = """
CREATE FUNCTION blueprints_version_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' THEN
    RAISE EXCEPTION 'a version is never removed' USING ERRCODE = 'restrict_violation';
  END IF;
  IF ROW(NEW.uid, NEW.blueprint_id, NEW.owner_id, NEW.semver, NEW.digest, NEW.document, NEW.text, NEW.lock, NEW.note,
         NEW.proposed_by_id, NEW.proposed_at)
     IS DISTINCT FROM
     ROW(OLD.uid, OLD.blueprint_id, OLD.owner_id, OLD.semver, OLD.digest, OLD.document, OLD.text, OLD.lock, OLD.note,
         OLD.proposed_by_id, OLD.proposed_at)
     OR (OLD.status <> 'proposed' AND ROW(NEW.status, NEW.decided_by_id, NEW.decided_at, NEW.decision_reason)
         IS DISTINCT FROM ROW(OLD.status, OLD.decided_by_id, OLD.decided_at, OLD.decision_reason)) THEN
    RAISE EXCEPTION 'a version never changes, and is decided on once' USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER blueprints_version_stays BEFORE UPDATE OR DELETE ON blueprints_version
  FOR EACH ROW EXECUTE FUNCTION blueprints_version_stays();
"""


class Migration(migrations.Migration):
    dependencies = [("blueprints", "0001_initial"), ("tenants", "0002_access")]

    operations = [
        *(EnableRowSecurity(f"blueprints_{table}", "owner_id") for table in (*OWNED, *HISTORIES)),
        migrations.RunSQL(
            IMMUTABLE,
            "DROP TRIGGER blueprints_version_stays ON blueprints_version; DROP FUNCTION blueprints_version_stays();",
        ),
    ]
