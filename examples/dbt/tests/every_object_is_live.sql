-- Rows that are not proven are no base for figures: each object that the models read is live.
select name, state, error
from {{ source('rtsd', 'object') }}
where name in ('Opportunity') and state <> 'live'
