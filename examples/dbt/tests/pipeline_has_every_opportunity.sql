-- Nothing is lost and nothing counted twice on the way to the mart.
with counted as (
    select sum(opportunities) as mart, (select count(*) from {{ ref('stg_opportunity') }}) as staged
    from {{ ref('pipeline_by_stage') }}
)
select * from counted where coalesce(mart, 0) <> staged
