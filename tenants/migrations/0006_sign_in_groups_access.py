"""Who sees the rules for groups from sign-in, held by the database: who sees the tenant."""

from django.db import migrations

from audit.rowsecurity import EnableRowSecurity


class Migration(migrations.Migration):
    dependencies = [("tenants", "0005_sign_in_groups"), ("audit", "0001_initial")]

    operations = [EnableRowSecurity("tenants_signingroup", "tenant_id")]
