package org.confleet.standin;

/** Confluence will not start; the text is what the log and the error page say. */
final class Refused extends Exception {
    private static final long serialVersionUID = 1;

    Refused(String text) {
        super(text);
    }
}
