// Lets the search work on pages that are opened from disk, where browsers allow no worker: this one runs the
// script in a hidden frame. On a server the browser's own is used.
if (location.protocol === "file:") {
  window.IFrameWorker = class extends EventTarget {
    constructor(script) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      document.body.appendChild(frame);
      const inner = frame.contentWindow;
      inner.IFrameWorker = window.IFrameWorker; // by this the theme's script knows where it is
      inner.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
      inner.importScripts = (...urls) =>
        urls.reduce((before, url) => before.then(() => load(inner.document, url)), Promise.resolve());
      this.inner = inner;
      this.ready = load(inner.document, script);
    }

    postMessage(data) {
      this.ready.then(() => this.inner.dispatchEvent(new MessageEvent("message", { data })));
    }
  };
  window.Worker = window.IFrameWorker;

  const load = (page, url) =>
    new Promise((loaded, failed) => {
      const element = page.createElement("script");
      element.src = url;
      element.onload = loaded;
      element.onerror = failed;
      page.body.appendChild(element);
    });
}
