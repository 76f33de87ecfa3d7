"""The main job on a real Airflow. Everything runs on this machine."""
