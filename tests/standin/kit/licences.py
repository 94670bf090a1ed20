"""Licence texts of format version 2 (facts 2.1) for sites of the stand-in.

The signature has the right shape and can never verify: nobody but the vendor can sign.
"""
import base64
import hashlib
import struct
import zlib


def base31(number):
    digits = ""
    while number:
        number, digit = divmod(number, 31)
        digits = "0123456789abcdefghijklmnopqrstu"[digit] + digits
    return digits


def encode(properties):
    text = "#Mon Jan 01 00:00:00 UTC 2024\n" + "".join(
        f"{key}={value}\n" for key, value in properties.items())
    packed = bytes((13, 14, 12, 10, 15)) + zlib.compress(text.encode(), 9)
    half = [b"\x02\x14" + bytes([digest[0] & 0x3F | 0x20]) + digest[1:20]
            for digest in (hashlib.sha256(part + packed).digest() for part in (b"r", b"s"))]
    signature = b"\x30\x2c" + half[0] + half[1]
    plain = base64.b64encode(struct.pack(">I", len(packed)) + packed + signature).decode()
    whole = plain + "X02" + base31(len(plain))
    return "\n".join(whole[at:at + 76] for at in range(0, len(whole), 76))


def confluence(server_id, until, data_center=True, sen="SEN-500"):
    """A host licence as facts 2.3 describes them, maintained until a day."""
    return encode({
        "Description": "Confluence (Data Center)\\: Stand-in" if data_center else "Confluence (Server)\\: Stand-in",
        "licenseVersion": "2", "conf.active": "true", "conf.LicenseTypeName": "COMMERCIAL",
        "conf.DataCenter": "true" if data_center else "false", "conf.NumberOfUsers": "500",
        "NumberOfUsers": "500", "CreationDate": "2024-01-01", "PurchaseDate": "2024-01-01",
        "MaintenanceExpiryDate": until, "LicenseExpiryDate": until if data_center else "unlimited",
        "ServerID": server_id, "SEN": sen, "LicenseID": "LID" + sen, "Organisation": "Example Organisation",
        "Evaluation": "false", "Subscription": "true" if data_center else "false"})
