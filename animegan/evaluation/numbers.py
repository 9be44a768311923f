"""How measured numbers are shown, in tables, logs and listings alike."""

KID_SCALE = 1000  # KID is always shown x 1000, as good sets have a few thousandths
KID_NAME = f"KID x {KID_SCALE}"


def kid_shown(kid: float, std: float | None = None) -> str:
    """Return a raw KID, with its standard deviation if given, as shown beside `KID_NAME`.

    0.0042 is "4.2"; 0.5421 and 0.0152 are "542 ± 15": one decimal below 100, as the floor of real
    pictures is about 1.
    """
    digits = 1 if abs(KID_SCALE * kid) < 100 else 0
    shown = f"{KID_SCALE * kid:.{digits}f}"
    return shown if std is None else f"{shown} ± {KID_SCALE * std:.{digits}f}"
