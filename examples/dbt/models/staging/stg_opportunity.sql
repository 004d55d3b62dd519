select
    id as opportunity_id,
    accountid as account_id,
    ownerid as owner_id,
    name as opportunity_name,
    stagename as stage,
    amount,
    closedate as close_date,
    isclosed as is_closed,
    iswon as is_won,
    createddate as created_at,
    systemmodstamp as changed_at
from {{ source('salesforce', 'opportunity') }}
