"""The methods of Databrain's hook for embeds, the data behind them, and where these come from."""

from __future__ import annotations

from airflow_provider_databrain.base.hook import ApiHook, ExtrasT, async_method, sync_method
from airflow_provider_databrain.databrain.api import dashboards as transfer
from airflow_provider_databrain.databrain.api import datamarts, datasources, embeds
from airflow_provider_databrain.databrain.api import metrics as data
from airflow_provider_databrain.databrain.api import semantic_layers as semantic


class DataMethods(ApiHook[ExtrasT]):
    """Embeds of what is there already, data app reads, datasources, datamarts, export and import."""

    create_embed = sync_method(embeds.create_embed)
    acreate_embed = async_method(embeds.create_embed)
    find_or_create_embed = sync_method(embeds.find_or_create_embed)
    afind_or_create_embed = async_method(embeds.find_or_create_embed)
    export_embed = sync_method(embeds.export_embed)
    aexport_embed = async_method(embeds.export_embed)
    fetch_data_app_dashboards = sync_method(data.fetch_data_app_dashboards)
    afetch_data_app_dashboards = async_method(data.fetch_data_app_dashboards)
    fetch_embed_metrics = sync_method(data.fetch_embed_metrics)
    afetch_embed_metrics = async_method(data.fetch_embed_metrics)
    fetch_dashboard_metrics = sync_method(data.fetch_dashboard_metrics)
    afetch_dashboard_metrics = async_method(data.fetch_dashboard_metrics)
    publish_metric = sync_method(data.publish_metric)
    apublish_metric = async_method(data.publish_metric)
    fetch_metric_data = sync_method(data.fetch_metric_data)
    afetch_metric_data = async_method(data.fetch_metric_data)
    list_scheduled_reports = sync_method(data.list_scheduled_reports)
    alist_scheduled_reports = async_method(data.list_scheduled_reports)
    create_datasource = sync_method(datasources.create_datasource)
    acreate_datasource = async_method(datasources.create_datasource)
    update_datasource = sync_method(datasources.update_datasource)
    aupdate_datasource = async_method(datasources.update_datasource)
    list_datasources = sync_method(datasources.list_datasources)
    alist_datasources = async_method(datasources.list_datasources)
    delete_datasource = sync_method(datasources.delete_datasource)
    adelete_datasource = async_method(datasources.delete_datasource)
    sync_datasource = sync_method(datasources.sync_datasource)
    async_datasource = async_method(datasources.sync_datasource)
    get_sync_progress = sync_method(datasources.get_sync_progress)
    aget_sync_progress = async_method(datasources.get_sync_progress)
    create_datamart = sync_method(datamarts.create_datamart)
    acreate_datamart = async_method(datamarts.create_datamart)
    update_datamart = sync_method(datamarts.update_datamart)
    aupdate_datamart = async_method(datamarts.update_datamart)
    list_datamarts = sync_method(datamarts.list_datamarts)
    alist_datamarts = async_method(datamarts.list_datamarts)
    delete_datamart = sync_method(datamarts.delete_datamart)
    adelete_datamart = async_method(datamarts.delete_datamart)
    get_semantic_layer = sync_method(semantic.get_semantic_layer)
    aget_semantic_layer = async_method(semantic.get_semantic_layer)
    create_semantic_layer = sync_method(semantic.create_semantic_layer)
    acreate_semantic_layer = async_method(semantic.create_semantic_layer)
    update_semantic_layer = sync_method(semantic.update_semantic_layer)
    aupdate_semantic_layer = async_method(semantic.update_semantic_layer)
    delete_semantic_layer = sync_method(semantic.delete_semantic_layer)
    adelete_semantic_layer = async_method(semantic.delete_semantic_layer)
    export_dashboard = sync_method(transfer.export_dashboard)
    aexport_dashboard = async_method(transfer.export_dashboard)
    import_dashboard = sync_method(transfer.import_dashboard)
    aimport_dashboard = async_method(transfer.import_dashboard)
