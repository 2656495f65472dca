"""Who sees an onboarding, held by the database: who sees its team; before there is one, the two people it names."""

from django.db import migrations

from audit.rowsecurity import EnableRowSecurity, scope_condition

# `hanse.person` is set beside `hanse.scope`, in the same transaction, from the same principal.
PERSON = "(SELECT NULLIF(current_setting('hanse.person', true), ''))::bigint"
CONDITION = f"{scope_condition('owner_id')} OR owner_id IS NULL AND {PERSON} IN (begun_by_id, lead_id)"


class Migration(migrations.Migration):
    dependencies = [("tenants", "0003_onboarding"), ("audit", "0001_initial")]

    operations = [EnableRowSecurity("tenants_onboarding", condition=CONDITION)]
