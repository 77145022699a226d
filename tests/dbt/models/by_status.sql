select status, count(*) as n, sum(amount) as total from {{ ref('payments') }} group by status
