/** The style sheet of /docs. It stands in the page, and its hash in the page's content-security-policy. */
export const style = `
:root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 20%, transparent); }
body { margin: 0 auto; max-width: 70rem; padding: 0 1rem 4rem; font: 16px/1.5 system-ui, sans-serif; }
nav { display: flex; flex-wrap: wrap; gap: 0.3rem 1rem; padding: 0.8rem 0; border-bottom: 1px solid var(--line); }
h1 small { font-weight: normal; opacity: 0.7; }
h2 { margin-top: 2.5rem; }
h3 { font-size: 1rem; margin: 1rem 0 0.3rem; }
p { max-width: 48rem; }
code, pre { font: 0.9em ui-monospace, monospace; }
pre { overflow-x: auto; padding: 0.6rem; border: 1px solid var(--line); border-radius: 4px; }
details { border-bottom: 1px solid var(--line); padding: 0.4rem 0; }
details[open] { padding-bottom: 1rem; }
summary { cursor: pointer; }
summary span { opacity: 0.8; }
summary b { display: inline-block; min-width: 4rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: 0.2rem 0.8rem 0.2rem 0; border-top: 1px solid var(--line); }
th { font-weight: normal; white-space: nowrap; }
table table { font-size: 0.95em; }
.get { color: light-dark(#0b5, #4e9); } .post { color: light-dark(#06c, #7bf); } .patch { color: light-dark(#a50, #fb6); }
.delete { color: light-dark(#c22, #f88); }
`
