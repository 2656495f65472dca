"""Who sees what, held by the database: the access function, row level security, notifications, gateway views."""

from django.db import migrations

from audit.rowsecurity import APP, GATEWAY, EnableRowSecurity, Grant
from tenants.operations import NotifyOnChange

# Answers for one person: the tenants they hold a role in (role set), and those they see through these (role empty).
# Runs as the owner, because a session has no scope yet when it asks; it shows tenant ids and roles of that person only.
ACCESS = """
CREATE FUNCTION tenants_access(person bigint) RETURNS TABLE (tenant_id bigint, role varchar)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  WITH mine AS (
    SELECT m.tenant_id, m.role FROM tenants_membership m WHERE m.person_id = person
  )
  SELECT mine.tenant_id, mine.role FROM mine
  UNION
  SELECT t.id, '' FROM tenants_tenant t WHERE t.tier = 'platform'
  UNION
  SELECT d.domain_id, '' FROM mine JOIN tenants_domainmembership d ON d.team_id = mine.tenant_id
  UNION
  SELECT d.team_id, '' FROM mine JOIN tenants_domainmembership d ON d.domain_id = mine.tenant_id
   WHERE mine.role = 'domain_steward'
$$;
REVOKE ALL ON FUNCTION tenants_access(bigint) FROM PUBLIC;
"""

# What the gateway's snapshot reads, and all of it. Views run with the owner's rights; the gateway has none on tables.
VIEWS = f"""
CREATE VIEW gateway_tenants AS
  SELECT t.id, t.uid, t.tier, t.slug, t.name, s.id AS stream_id, s.uid AS stream_uid
    FROM tenants_tenant t LEFT JOIN audit_stream s ON s.scope = t.id;
CREATE VIEW gateway_domains AS SELECT team_id, domain_id FROM tenants_domainmembership;
CREATE VIEW gateway_people AS SELECT id, uid, is_active AS active, clearance FROM tenants_person;
CREATE VIEW gateway_memberships AS SELECT person_id, tenant_id, role FROM tenants_membership;
CREATE VIEW gateway_agents AS
  SELECT a.id, a.uid, a.slug, a.home_id, a.status = 'active' AS active,
         p.is_active AND EXISTS (
           SELECT FROM tenants_membership m WHERE m.person_id = p.id AND m.tenant_id = a.home_id
         ) AS sponsor_active,
         a.profile, a.risk
    FROM tenants_agent a JOIN tenants_person p ON p.id = a.sponsor_id;
CREATE VIEW gateway_delegations AS
  SELECT id, uid, person_id, agent_id, team_id, tool_groups::text[] AS tool_groups, effect_ceiling,
         sensitivity_ceiling, parent_id, depth, not_before, not_after, revoked_at IS NOT NULL AS revoked, run
    FROM tenants_delegation WHERE not_after > now() - interval '1 hour';
REVOKE ALL ON gateway_tenants, gateway_domains, gateway_people, gateway_memberships, gateway_agents,
  gateway_delegations FROM {APP};
GRANT SELECT ON gateway_tenants, gateway_domains, gateway_people, gateway_memberships, gateway_agents,
  gateway_delegations TO {GATEWAY};
"""

DROP_VIEWS = """
DROP VIEW gateway_tenants, gateway_domains, gateway_people, gateway_memberships, gateway_agents, gateway_delegations;
"""


class Migration(migrations.Migration):
    dependencies = [("tenants", "0001_initial"), ("audit", "0001_initial")]

    operations = [
        migrations.RunSQL(ACCESS, "DROP FUNCTION tenants_access(bigint);"),
        Grant("EXECUTE", "FUNCTION tenants_access(bigint)", APP),
        EnableRowSecurity("tenants_tenant", "id"),
        EnableRowSecurity("tenants_domainmembership", "team_id"),
        EnableRowSecurity("tenants_membership", "tenant_id"),
        EnableRowSecurity("tenants_agent", "home_id"),
        EnableRowSecurity("tenants_delegation", "team_id"),
        NotifyOnChange("tenants_tenant", "tenants"),
        NotifyOnChange("tenants_domainmembership", "tenants"),
        NotifyOnChange("tenants_membership", "tenants"),
        NotifyOnChange("tenants_agent", "tenants"),
        NotifyOnChange("tenants_delegation", "tenants"),
        # Signing in writes last_login: only what the gateway reads wakes it.
        migrations.RunSQL(
            """
            CREATE TRIGGER tenants_person_notify AFTER UPDATE OF is_active, clearance ON tenants_person
              FOR EACH STATEMENT EXECUTE FUNCTION hanse_notify_tenants();
            CREATE TRIGGER tenants_person_added AFTER INSERT OR DELETE ON tenants_person
              FOR EACH STATEMENT EXECUTE FUNCTION hanse_notify_tenants();
            """,
            "DROP TRIGGER tenants_person_notify ON tenants_person; DROP TRIGGER tenants_person_added ON tenants_person;",
        ),
        migrations.RunSQL(VIEWS, DROP_VIEWS),
    ]
