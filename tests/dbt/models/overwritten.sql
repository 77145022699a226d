{{ config(materialized='incremental', incremental_strategy='insert_overwrite', partitioned_by=['status']) }}
select id, amount, status from {{ ref('payments') }}
