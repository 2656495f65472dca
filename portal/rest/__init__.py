"""The REST API: every act of the portal for machines, under `/api/v1`."""
