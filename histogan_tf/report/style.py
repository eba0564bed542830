"""The report's style sheet: light or dark as the reader's system is."""

CSS = """
:root{color-scheme:light dark;--ink:#1d2430;--soft:#5b6675;--page:#f6f7f9;
--card:#fff;--line:#dde1e7;--accent:#7b3f8c;--note:#fff6e0}
@media(prefers-color-scheme:dark){:root{--ink:#e4e8ee;--soft:#9aa5b4;
--page:#12151a;--card:#1b2027;--line:#323a45;--accent:#d59be6;--note:#33290f}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:1240px;margin:0 auto;padding:24px 20px 64px}
h1{font-size:26px;line-height:1.25;margin:0 0 4px;overflow-wrap:anywhere}
h2{font-size:20px;margin:0 0 12px;color:var(--accent)}
h3{font-size:16px;margin:24px 0 8px}
h4{font-size:15px;margin:0 0 6px}
p{margin:6px 0}
nav a{color:var(--accent);margin-right:16px}
section{background:var(--card);border:1px solid var(--line);
border-radius:10px;padding:18px 20px;margin-top:20px}
pre{background:var(--page);border:1px solid var(--line);border-radius:6px;
padding:8px 10px;margin:6px 0;white-space:pre-wrap;overflow-wrap:anywhere;
font-size:13px}
code{font-size:13px;overflow-wrap:anywhere}
.tiles{display:flex;flex-wrap:wrap;gap:10px;margin-top:16px}
.tiles div{background:var(--card);border:1px solid var(--line);
border-radius:10px;padding:10px 16px;flex:1 1 130px}
.tiles strong{display:block;font-size:22px;white-space:nowrap}
.tiles span{color:var(--soft);font-size:13px}
.scroll{overflow-x:auto;max-width:100%;margin-bottom:10px}
table{border-collapse:collapse;font-size:14px}
th,td{text-align:left;padding:4px 12px 4px 0;vertical-align:top;
border-bottom:1px solid var(--line);font-weight:inherit}
thead th,.pairs th{color:var(--soft);font-size:13px}
thead th{vertical-align:bottom}
.pairs th{white-space:nowrap}
td{font-variant-numeric:tabular-nums}
.swatch{display:flex;gap:8px;align-items:baseline}
.swatch i{flex:none;width:13px;height:13px;border-radius:3px;
border:1px solid var(--soft);transform:translateY(2px)}
.missing{background:var(--note);border-radius:6px;padding:6px 10px}
.protocol,small{color:var(--soft);font-size:13px}
.cards{display:grid;gap:14px;
grid-template-columns:repeat(auto-fill,minmax(min(100%,370px),1fr))}
.card td,.card th{padding-right:10px}
.card{border:1px solid var(--line);border-radius:8px;padding:12px 14px;
min-width:0}
.figures{display:grid;gap:18px 22px;
grid-template-columns:repeat(auto-fill,minmax(min(100%,340px),1fr))}
figure{margin:0;min-width:0}
figcaption{font-weight:600;font-size:14px}
svg{display:block;width:100%;height:auto;stroke-linejoin:round}
.legend{list-style:none;margin:2px 0 0;padding:0;display:flex;
flex-wrap:wrap;gap:2px 14px;font-size:13px}
.legend li{overflow-wrap:anywhere}
.legend i{display:inline-block;width:14px;height:3px;margin-right:6px;
vertical-align:4px}
.gallery table{border-spacing:0}
.gallery th,.gallery td{border:0;padding:2px;vertical-align:middle}
.gallery thead th{font-size:12px;max-width:180px;overflow-wrap:anywhere}
.gallery tbody th{position:sticky;left:0;background:var(--card);
padding-right:10px;min-width:112px;max-width:130px;font-size:13px}
.gallery img{display:block;max-width:200px;height:auto}
.gallery:has(.zoom:checked) img{max-width:none}
.pixels{image-rendering:pixelated}
details summary{cursor:pointer;margin-top:10px}
@media(max-width:600px){main{padding:14px 10px 40px}
section{padding:14px 12px}.gallery tbody th{min-width:88px;
max-width:88px;font-size:12px;overflow-wrap:anywhere}
.gallery img{max-width:150px}}
@media print{section{break-inside:auto}.scroll{overflow:visible}}
"""
