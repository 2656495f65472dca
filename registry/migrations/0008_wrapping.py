"""HTTP APIs wrapped as servers: a third transport, their documents, and the plan of a tool's request for the gateway."""

import django.contrib.postgres.fields
import django.db.models.deletion
import kernel.clock
from django.conf import settings
from django.db import migrations, models

from audit.rowsecurity import APP, GATEWAY, EnableRowSecurity

# PostgreSQL changes no column that a view or a trigger names, so both step aside while `transport` grows.
STEP_ASIDE = """
DROP VIEW gateway_servers, gateway_tools;
DROP TRIGGER registry_server_notify ON registry_server;
"""
COME_BACK = """
CREATE TRIGGER registry_server_notify
  AFTER UPDATE OF slug, name, owner_id, transport, url, command, status, protocol ON registry_server
  FOR EACH STATEMENT EXECUTE FUNCTION hanse_notify_registry();
"""
SERVERS = """
CREATE VIEW gateway_servers AS
  SELECT id, uid, slug, name, owner_id, transport, url, status, protocol, command::text[] AS command
    FROM registry_server WHERE status <> 'retired';
"""
GROUPS = """ARRAY(SELECT g.slug::text FROM registry_toolgroup_tools gt JOIN registry_toolgroup g ON g.id = gt.toolgroup_id
                WHERE gt.tool_id = t.id) AS groups"""
OLD_TOOLS = f"""
CREATE VIEW gateway_tools AS
  SELECT t.id, t.uid, t.server_id, t.name, t.exposed_name, t.definition, t.pin, t.effect, t.sensitivity, {GROUPS}
    FROM registry_tool t JOIN registry_server s ON s.id = t.server_id
   WHERE t.state = 'approved' AND s.status = 'active';
"""
# The plan of a request is for the gateway alone: agents are shown the rest. A server of another transport has no plan,
# whatever it says of itself.
TOOLS = f"""
CREATE VIEW gateway_tools AS
  SELECT t.id, t.uid, t.server_id, t.name, t.exposed_name, t.definition - 'request' AS definition, t.pin, t.effect,
         t.sensitivity, {GROUPS},
         CASE WHEN s.transport = 'openapi' THEN t.definition -> 'request' END AS request
    FROM registry_tool t JOIN registry_server s ON s.id = t.server_id
   WHERE t.state = 'approved' AND s.status = 'active';
"""
RIGHTS = f"""
REVOKE ALL ON gateway_servers, gateway_tools FROM {APP};
GRANT SELECT ON gateway_servers, gateway_tools TO {GATEWAY};
"""


class Migration(migrations.Migration):

    dependencies = [
        ('registry', '0007_context_servers'),
        ('tenants', '0002_access'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RunSQL(STEP_ASIDE, COME_BACK + SERVERS + OLD_TOOLS + RIGHTS),
        migrations.CreateModel(
            name='ApiDocument',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('text', models.TextField()),
                ('digest', models.CharField(max_length=64)),
                ('chosen', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=600), blank=True, default=list, size=None)),
                ('taken_at', models.DateTimeField(default=kernel.clock.now)),
                ('proposed', models.TextField(blank=True)),
                ('proposed_digest', models.CharField(blank=True, max_length=64)),
                ('proposed_at', models.DateTimeField(blank=True, null=True)),
                ('version', models.PositiveIntegerField(default=1)),
            ],
        ),
        migrations.RemoveConstraint(
            model_name='server',
            name='server_one_transport',
        ),
        migrations.AlterField(
            model_name='historicalserver',
            name='transport',
            field=models.CharField(choices=[('http', 'Streamable HTTP'), ('stdio', 'stdio'), ('hanse', 'Internal'), ('openapi', 'HTTP API')], max_length=7),
        ),
        migrations.AlterField(
            model_name='server',
            name='transport',
            field=models.CharField(choices=[('http', 'Streamable HTTP'), ('stdio', 'stdio'), ('hanse', 'Internal'), ('openapi', 'HTTP API')], max_length=7),
        ),
        migrations.AddConstraint(
            model_name='server',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('command', []), ('transport__in', ['http', 'openapi']), models.Q(('url', ''), _negated=True)), models.Q(('transport', 'stdio'), ('url', ''), models.Q(('command', []), _negated=True)), models.Q(('command', []), ('transport', 'hanse'), ('url__startswith', 'hanse:')), _connector='OR'), name='server_one_transport'),
        ),
        migrations.AddField(
            model_name='apidocument',
            name='owner',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant'),
        ),
        migrations.AddField(
            model_name='apidocument',
            name='proposed_by',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='apidocument',
            name='server',
            field=models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='document', to='registry.server'),
        ),
        migrations.AddField(
            model_name='apidocument',
            name='taken_by',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddIndex(
            model_name='apidocument',
            index=models.Index(fields=['owner', 'id'], name='api_document_by_owner'),
        ),
        EnableRowSecurity("registry_apidocument", "owner_id"),
        migrations.RunSQL(COME_BACK + SERVERS + TOOLS + RIGHTS, STEP_ASIDE),
    ]
