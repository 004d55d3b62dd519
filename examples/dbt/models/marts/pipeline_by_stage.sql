-- The pipeline: what is in each stage, by the month in which it is to be closed.
select
    date_trunc('month', close_date)::date as close_month,
    stage,
    is_closed,
    is_won,
    count(*) as opportunities,
    coalesce(sum(amount), 0) as amount
from {{ ref('stg_opportunity') }}
group by 1, 2, 3, 4
