{{ config(materialized='view') }}
select * from {{ ref('payments') }} where status = 'APPROVED'
