"""Row level security, notifications and gateway views of the catalog."""

from django.db import migrations

from audit.rowsecurity import APP, GATEWAY, EnableRowSecurity
from tenants.operations import NotifyOnChange

# Only what is approved, with the definition that was approved: what a server shows since then never reaches an agent.
VIEWS = f"""
CREATE VIEW gateway_servers AS
  SELECT id, uid, slug, name, owner_id, transport, url, status, protocol, command::text[] AS command
    FROM registry_server WHERE status <> 'retired';
CREATE VIEW gateway_tools AS
  SELECT t.id, t.uid, t.server_id, t.name, t.exposed_name, t.definition, t.pin, t.effect, t.sensitivity,
         ARRAY(SELECT g.slug::text FROM registry_toolgroup_tools gt JOIN registry_toolgroup g ON g.id = gt.toolgroup_id
                WHERE gt.tool_id = t.id) AS groups
    FROM registry_tool t JOIN registry_server s ON s.id = t.server_id
   WHERE t.state = 'approved' AND s.status = 'active';
CREATE VIEW gateway_credentials AS
  SELECT server_id, kind, header, sealed, origin, key_id FROM registry_credential;
REVOKE ALL ON gateway_servers, gateway_tools, gateway_credentials FROM {APP};
GRANT SELECT ON gateway_servers, gateway_tools, gateway_credentials TO {GATEWAY};
"""

THROUGH_GROUP = "EXISTS (SELECT FROM registry_toolgroup g WHERE g.id = toolgroup_id)"


class Migration(migrations.Migration):
    dependencies = [("registry", "0001_initial"), ("tenants", "0002_access")]

    operations = [
        EnableRowSecurity("registry_server", "owner_id"),
        EnableRowSecurity("registry_tool", "owner_id"),
        EnableRowSecurity("registry_toolgroup", "owner_id"),
        EnableRowSecurity("registry_toolgroup_tools", condition=THROUGH_GROUP),
        EnableRowSecurity("registry_credential", "owner_id"),
        EnableRowSecurity("registry_probe", "owner_id"),
        EnableRowSecurity("registry_historicalserver", "owner_id"),
        EnableRowSecurity("registry_historicaltool", "owner_id"),
        # A probe updates columns that the gateway does not read: it must not wake every gateway.
        migrations.RunSQL(
            """
            CREATE OR REPLACE FUNCTION hanse_notify_registry() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN PERFORM pg_notify('hanse_policy', 'registry'); RETURN NULL; END $$;
            CREATE TRIGGER registry_server_notify
              AFTER UPDATE OF slug, name, owner_id, transport, url, command, status, protocol ON registry_server
              FOR EACH STATEMENT EXECUTE FUNCTION hanse_notify_registry();
            CREATE TRIGGER registry_server_added AFTER INSERT OR DELETE ON registry_server
              FOR EACH STATEMENT EXECUTE FUNCTION hanse_notify_registry();
            """,
            """
            DROP TRIGGER registry_server_notify ON registry_server;
            DROP TRIGGER registry_server_added ON registry_server;
            """,
        ),
        NotifyOnChange("registry_tool", "registry"),
        NotifyOnChange("registry_toolgroup", "registry"),
        NotifyOnChange("registry_toolgroup_tools", "registry"),
        NotifyOnChange("registry_credential", "registry"),
        migrations.RunSQL(VIEWS, "DROP VIEW gateway_servers, gateway_tools, gateway_credentials;"),
    ]
