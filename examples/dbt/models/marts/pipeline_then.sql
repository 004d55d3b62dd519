{{ config(enabled=var('history_schema') != '') }}
-- The pipeline as it was, with the stage, amount and date that each opportunity had then: what has moved since yesterday?
{% set moment = "'" ~ var('as_of') ~ "'::timestamptz" if var('as_of') else "date_trunc('day', now())" %}
select
    date_trunc('month', closedate)::date as close_month,
    stagename as stage,
    count(*) as opportunities,
    coalesce(sum(amount), 0) as amount
from {{ source('history', 'opportunity') }}
where valid_from <= {{ moment }} and (valid_to > {{ moment }} or valid_to is null)
group by 1, 2
