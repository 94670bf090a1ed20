/* redact_text - a customer's configuration text with its secrets taken out, for people to read.
 *
 * Knows no file's grammar: what is named like a secret (password, pass, pwd, secret, token, key
 * phrase, licence) loses its value in every form that names come in: attribute, element with its
 * name before it, option, property, URL, PEM block. Rather hides too much than too little, so the
 * result is no file to use. Names stay, lengths do not. */
#pragma once
#include "confleet/str.h"

/* Adds the text without its secrets to out. */
void redact_text(const char *text, struct str *out);
