// What both documentation pages do first: load the document and say where the service is.
'use strict';

const ashlar = {
  // Behind a proxy or a mount the service does not begin at "/": a document that names no server of its own means the
  // service that this page belongs to.
  async document() {
    const {document: url, root} = document.body.dataset;
    const answer = await fetch(url, {credentials: 'same-origin'});
    if (!answer.ok) throw new Error(`${answer.url} answered with status ${answer.status}`);
    const spec = await answer.json();
    const here = new URL(root, location.href).href.replace(/\/$/, '');
    if (!spec.servers?.length || spec.servers.every((server) => server.url === '/')) spec.servers = [{url: here}];
    return spec;
  },

  prefersDark: matchMedia('(prefers-color-scheme: dark)'),

  fail(error) {
    const note = document.createElement('p');
    note.className = 'note';
    note.textContent = `The API document could not be shown. ${error.message}`;
    document.querySelector('main').replaceChildren(note);
  },
};
