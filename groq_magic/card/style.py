"""The card's style sheet, sent once a card.

Colours come from the theme where there is one. Each has a fallback, foreground and background together, so
that a page without a theme, or with one that it does not tell (VS Code, Colab, a mail), shows the light card
whole. Every text has a contrast of 4.5 : 1 at least in both, the bar and its parts 3 : 1 (WCAG 2.2 AA).

Where the frontend is JupyterLab or Notebook 7, the receipt is shown only without the card under it.
"""

_RULES = """
.jp-OutputArea-child:has(.gm-receipt):has(+.jp-OutputArea-child .gm-card){display:none}
.gm,.gm-card{--gm-ok:#1a7f4b;--gm-bad:#b3261e;--gm-run:#1f5fbf;--gm-rest:#e4e6ea;--gm-soft:#5a5a5a;
--gm-line:var(--jp-border-color2,#d9d9d9);--gm-tint:var(--jp-layout-color2,#f3f3f3);
font-family:var(--jp-ui-font-family,system-ui,sans-serif);font-size:13px;line-height:1.45;
color:var(--jp-ui-font-color1,#1b1b1b)}
[data-jp-theme-light="false"] :is(.gm,.gm-card){--gm-ok:#4cc38a;--gm-bad:#ff8a80;--gm-run:#7fb3ff;
--gm-rest:#3a3d42;--gm-soft:#b0b0b0}
.gm-card{background:var(--jp-layout-color1,#fff);border:1px solid var(--gm-line);border-radius:8px;
max-width:640px;padding:12px 16px;margin:4px 0;box-sizing:border-box;overflow-wrap:anywhere}
.gm-card .widget-html,.gm-card .widget-html-content{line-height:1.45!important;height:auto;margin:0;
overflow:visible;width:100%}
.gm-card .widget-hbox{flex-wrap:wrap;gap:4px 8px;margin-top:8px;align-items:center;overflow:visible}
.gm-card .widget-button{flex:none;width:auto;margin:0;border:1px solid var(--jp-border-color1,#8a8a8a);
border-radius:4px;height:26px;line-height:24px;padding:0 10px;background:var(--jp-layout-color1,#fff);
color:var(--jp-ui-font-color1,#1b1b1b)}
.gm-card .widget-button:hover{background:var(--gm-tint)}
.gm-card :is(button,summary):focus-visible{outline:2px solid var(--gm-run);outline-offset:2px}
.gm-card .gm-hint{flex:1 1 12em;min-width:0}
.gm-head{display:flex;flex-wrap:wrap;align-items:baseline;gap:2px 8px}
.gm-head b,.gm code,.gm pre{font-family:var(--jp-code-font-family,ui-monospace,monospace)}
.gm-head b{font-size:14px}
.gm code{display:inline-block;max-width:100%}
.gm-card .gm code{font-size:12px;background:none!important;color:inherit;padding:0!important}
.gm-soft{color:var(--gm-soft)}.gm-grow{flex:1 1 12em}
.gm-badge{font-size:11px;border:1px solid var(--gm-soft);border-radius:9px;padding:0 7px;white-space:nowrap;
color:var(--gm-soft)}.gm-sandbox{border-style:dashed;font-weight:600}
.gm-word{font-weight:600;color:var(--gm-run)}.gm-ok .gm-word{color:var(--gm-ok)}
.gm-bad .gm-word{color:var(--gm-bad)}.gm-rest .gm-word{color:var(--gm-soft)}
.gm-run .gm-sign{animation:gm-pulse 2s ease-in-out infinite}
@keyframes gm-pulse{50%{opacity:.35}}
@media (prefers-reduced-motion:reduce){.gm-run .gm-sign{animation:none}}
.gm-large{font-size:16px;font-weight:600;margin-top:6px}
.gm progress{display:block;width:100%;height:8px;margin:9px 0 7px;border:0;border-radius:4px;overflow:hidden;
appearance:none;-webkit-appearance:none;background:var(--gm-rest);--gm-fill:var(--gm-run)}
.gm-ok progress,.gm-bad progress,.gm-rest progress{--gm-fill:var(--gm-ok)}
.gm progress::-webkit-progress-bar{background:var(--gm-rest)}
.gm progress::-webkit-progress-value{background:linear-gradient(90deg,var(--gm-fill) 0 var(--gm-split,100%),
var(--gm-bad) var(--gm-split,100%) 100%)}
.gm progress::-moz-progress-bar{background:linear-gradient(90deg,var(--gm-fill) 0 var(--gm-split,100%),
var(--gm-bad) var(--gm-split,100%) 100%)}
.gm-row{display:flex;flex-wrap:wrap;align-items:center;gap:2px 14px;font-variant-numeric:tabular-nums}
.gm-row svg{margin-left:auto}
.gm-files{display:flex;flex-wrap:wrap;gap:3px;margin:6px 0}
.gm-files i{width:10px;height:10px;border-radius:2px;border:1px solid var(--gm-soft);box-sizing:border-box}
.gm-files .gm-s{background:linear-gradient(0deg,var(--gm-run) 50%,transparent 50%);border-color:var(--gm-run)}
.gm-files .gm-d{background:var(--gm-ok);border-color:var(--gm-ok)}
.gm-files .gm-x{background:repeating-linear-gradient(45deg,var(--gm-bad) 0 2px,transparent 2px 4px);
border-color:var(--gm-bad)}
.gm-came{margin-top:8px}
.gm-note{margin:6px 0 0;padding:4px 10px;background:var(--gm-tint);border-left:3px solid var(--gm-bad)}
.gm-told{border-left-color:var(--gm-run)}
.gm table{border-collapse:collapse;width:100%;margin:8px 0 0;font-size:12px;color:inherit;table-layout:fixed}
.gm tr{background:none!important}.gm td{border-top:1px solid var(--gm-line);padding:3px 8px 3px 0;
text-align:left!important;
vertical-align:top;white-space:normal;background:none}
.gm details{margin-top:4px}.gm summary{cursor:pointer;color:var(--gm-soft)}
.gm pre{white-space:pre-wrap;margin:2px 0;font-size:12px;color:inherit;background:none;max-height:12em;
overflow:auto}
.gm-foot{display:flex;flex-wrap:wrap;gap:2px 14px;margin-top:8px;font-size:12px;color:var(--gm-soft)}
"""

STYLE = f"<style>{_RULES.replace(chr(10), '')}</style>"
