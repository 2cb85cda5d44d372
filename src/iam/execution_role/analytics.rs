//! Athena: the query, where its answer goes, and the catalog it reads.

use super::data::Location;
use super::task::Task;

pub(super) fn athena(task: &mut Task<'_>, action: &str) -> bool {
    match action {
        "startQueryExecution" => start(task),
        "stopQueryExecution" => of_query(task, "athena:StopQueryExecution"),
        "getQueryExecution" => of_query(task, "athena:GetQueryExecution"),
        "getQueryResults" => {
            of_query(task, "athena:GetQueryResults");
            let results = task.given("s3", "");
            if results.is_empty() {
                task.missing(format!(
                    "reads the answer of a query from the bucket it was written to; give its objects with {}",
                    task.flag("arn:aws:s3:::BUCKET/PREFIX*")
                ));
            }
            task.need(&["s3:GetObject"], results);
        }
        _ => return false,
    }
    true
}

/// A running query is allowed by its workgroup, which the call does not name.
fn of_query(task: &mut Task<'_>, action: &str) {
    let groups = task.given("athena", "workgroup/");
    if groups.is_empty() {
        task.missing(format!(
            "names a query, which is allowed by its workgroup; give the workgroup with {}",
            task.flag("ARN")
        ));
    }
    task.need(&[action], groups);
}

fn start(task: &mut Task<'_>) {
    let group = match task.payload.get("WorkGroup") {
        field if field.is_absent() => vec![task.here.arn("athena", "workgroup/primary")],
        _ => task.resource("WorkGroup", "athena", "workgroup/", "its workgroup"),
    };
    task.need(&["athena:StartQueryExecution"], group.clone());
    let catalog = match task.payload.get("QueryExecutionContext.Catalog") {
        field if field.is_absent() => vec![task.here.arn("athena", "datacatalog/AwsDataCatalog")],
        _ => task.resource("QueryExecutionContext.Catalog", "athena", "datacatalog/", "its data catalog"),
    };
    task.need(&["athena:GetDataCatalog"], catalog);
    if task.is_sync() {
        let actions = ["athena:StopQueryExecution", "athena:GetQueryExecution", "athena:GetQueryResults"];
        task.need(&actions, group);
    }
    answer(task);
    tables(task);
    task.need(&["lakeformation:GetDataAccess"], ["*"]);
    sources(task);
}

/// Athena writes the answer with the rights of who asks (Athena user guide, "Access to workgroups and to Amazon S3").
fn answer(task: &mut Task<'_>) {
    let name = "ResultConfiguration.OutputLocation";
    let field = task.payload.get(name);
    let Some(location) = field.text().and_then(|text| Location::parse(&text)) else {
        return task.missing(
            "does not say where the answer of its query is written (ResultConfiguration.OutputLocation); write it there, or allow the location that the workgroup sets by hand",
        );
    };
    let partition = task.here.partition.clone();
    let objects = ["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"];
    task.need(&objects, [location.objects(&partition)]);
    let bucket = ["s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"];
    task.need(&bucket, [location.bucket(&partition)]);
}

fn tables(task: &mut Task<'_>) {
    let Some(database) = task.payload.get("QueryExecutionContext.Database").text() else {
        return task.missing(
            "does not say which database it reads (QueryExecutionContext.Database); write it there, or allow the tables of the query by hand",
        );
    };
    let resources = ["catalog".to_owned(), format!("database/{database}"), format!("table/{database}/*")];
    let arns: Vec<String> = resources.iter().map(|resource| task.here.arn("glue", resource)).collect();
    let actions = [
        "glue:GetDatabase",
        "glue:GetTable",
        "glue:GetTables",
        "glue:GetPartition",
        "glue:GetPartitions",
        "glue:BatchGetPartition",
    ];
    task.need(&actions, arns);
}

/// Where the tables lie is known to the catalog alone.
fn sources(task: &mut Task<'_>) {
    let objects = task.given("s3", "");
    if objects.is_empty() {
        return task.missing(format!(
            "reads data whose place only the catalog knows; give its objects with {}",
            task.flag("arn:aws:s3:::BUCKET/PREFIX*")
        ));
    }
    let mut buckets: Vec<String> = objects.iter().filter_map(|arn| arn.split('/').next()).map(str::to_owned).collect();
    buckets.dedup();
    task.need(&["s3:GetObject"], objects);
    task.need(&["s3:GetBucketLocation", "s3:ListBucket"], buckets);
}
