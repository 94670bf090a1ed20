package org.confleet.standin;

import java.io.ByteArrayInputStream;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Base64;
import java.util.Properties;
import java.util.zip.InflaterInputStream;

/** Reads licences of format version 2 (facts 2.1) and says what speaks against one (facts 2.4). */
final class Licence {
    private static final String UNREADABLE = "Unable to retrieve license.";
    private static final byte[] PREFIX = {13, 14, 12, 10, 15};

    private Licence() {
    }

    /** The properties inside, or null. The signature is not checked: ours cannot verify. */
    static Properties decode(String text) {
        String plain = text.replaceAll("\\s", "");
        int mark = plain.lastIndexOf("X02");
        try {
            if (mark < 0 || Integer.parseInt(plain.substring(mark + 3), 31) != mark) {
                return null;
            }
            byte[] raw = Base64.getDecoder().decode(plain.substring(0, mark));
            int size = ByteBuffer.wrap(raw).getInt();
            if (!Arrays.equals(Arrays.copyOfRange(raw, 4, 9), PREFIX)) {
                return null;
            }
            try (InputStream in = new InflaterInputStream(new ByteArrayInputStream(raw, 9, size - 5))) {
                return Home.properties(new String(in.readAllBytes(), StandardCharsets.UTF_8));
            }
        } catch (Exception error) {
            return null;
        }
    }

    static String value(Properties licence, String name) {
        return licence.getProperty("conf." + name, licence.getProperty(name, ""));
    }

    static String refusal(String text, String version, String date) {
        Properties licence = decode(text);
        if (licence == null || !licence.getProperty("conf.active", "").equals("true")) {
            return UNREADABLE;          // facts 2.2, 2.3 (d)
        }
        String[] parts = version.split("\\.");
        int line = Integer.parseInt(parts[0]) * 1000 + Integer.parseInt(parts[1]);
        if (line >= 8006 && !value(licence, "DataCenter").equals("true")) {
            return "License validation failed. LEGACY_SERVER_LICENSE";
        }
        String end = value(licence, "MaintenanceExpiryDate");
        if (end.matches("\\d{4}-\\d\\d-\\d\\d") && end.compareTo(date) < 0) {
            return "License validation failed. SUPPORT_EXPIRED " + end;
        }
        return null;
    }
}
