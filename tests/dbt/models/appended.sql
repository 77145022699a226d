{{ config(materialized='incremental', incremental_strategy='append') }}
select id, status, amount from {{ ref('payments') }}
{% if is_incremental() %} where id > 2 {% endif %}
