#include "controller/cli/readiness.h"

/* Over the style of the report: the matrix, dark screens, and paper. */
const char *const readiness_style[] = {
    ".matrix .c{text-align:center;white-space:nowrap;padding:6px 8px}\n"
    ".matrix td.good{background:none;color:var(--good)}.matrix td.dim{color:var(--soft)}\n"
    ".matrix td.c a{color:inherit;font-weight:600;display:block}\n"
    ".matrix td.c small{color:inherit;font-weight:400}\n"
    ".matrix th:first-child,.matrix td:first-child{position:sticky;left:0;background:var(--paper)}\n"
    "sup{font-size:10px;font-weight:600;margin-left:3px;color:var(--bad)}\n"
    ".group .top,.site .top{align-items:baseline}.site .top{margin-bottom:6px}\n"
    ".group h3,.site h3{flex:0 1 auto}.group .lead,.site .lead{margin:0;font-size:13px}\n"
    ".lines{margin:12px 0 0;grid-template-columns:minmax(90px,240px) 1fr}\n"
    ".lines dt{overflow-wrap:anywhere}.lines small{display:block}\n"
    ".waived{color:var(--soft);font-style:italic}\n"
    ".remedy,.rule{margin:0;white-space:pre-line;overflow-wrap:anywhere}.rule{color:var(--soft)}\n"
    ".found td{overflow-wrap:anywhere;white-space:pre-line}.found td.w{white-space:nowrap;"
    "color:var(--soft)}\n"
    ":target{outline:2px solid var(--info);outline-offset:-2px}\n",
    "@media (prefers-color-scheme:dark){:root{--ink:#e6e9ef;--soft:#9aa5b8;--line:#313a49;"
    "--paper:#1b212b;--ground:#12161d;--good:#6fd39b;--good-bg:#16372a;--warn:#f0b95b;"
    "--warn-bg:#3d2e10;--bad:#ff8f86;--bad-bg:#46201e;--info:#86b8f5;--info-bg:#1a2f4a}}\n"
    "@media print{:root{--ink:#172033;--soft:#5b6577;--line:#dfe3ea;--paper:#fff;--ground:#f4f6f9;"
    "--good:#1b7f4d;--good-bg:#e3f4ea;--warn:#9a5b00;--warn-bg:#fdf0d8;--bad:#b3261e;"
    "--bad-bg:#fbe4e2;--info:#1f5fa8;--info-bg:#e4eefa}body{color:var(--ink)}"
    ".matrix{font-size:9px}.matrix .c{padding:3px 4px}.matrix thead{display:table-header-group}"
    ".matrix th:first-child,.matrix td:first-child{position:static}"
    ".group{break-inside:avoid-page}.site{break-inside:auto}h3{break-after:avoid}}\n",
    NULL
};
