select region, count(*) as n from "s3tablescatalog/dbtlake"."analytics"."transactions" group by region
