"""REST: `/api/v1`. The only place that knows Django REST framework."""
