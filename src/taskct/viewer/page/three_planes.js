// Three planes of a volume by NiiVue, which is loaded when it is first asked for.

let niivue = null, viewer = null, loaded = "";

function loadNiivue() {
  return new Promise((done, failed) => {
    const script = Object.assign(document.createElement("script"), { src: "niivue.umd.js" });
    script.addEventListener("load", () => done(window.niivue));
    script.addEventListener("error", () => failed(new Error("niivue.umd.js did not come")));
    document.head.append(script);
  });
}

// Show the volume of a study in three planes at the window of the state; `say` gets one line about what happens.
export async function showVolume(canvas, { study, labelled, level, width, labels, say }) {
  try {
    if (!document.createElement("canvas").getContext("webgl2")) {
      say("This browser has no WebGL 2, which three planes need; slices work without it.");
      return;
    }
    if (!niivue) { say("loading ..."); niivue = await loadNiivue(); }
    if (!viewer) {
      viewer = new niivue.Niivue({ isResizeCanvas: true, backColor: [0, 0, 0, 1], show3Dcrosshair: false, isRadiologicalConvention: true, dragAndDropEnabled: false, loadingText: "", logLevel: "error" });
      await viewer.attachToCanvas(canvas);
      viewer.setSliceType(viewer.sliceTypeMultiplanar);
      viewer.setMultiplanarLayout?.(niivue.MULTIPLANAR_TYPE?.AUTO ?? 0);
      viewer.opts.multiplanarShowRender = niivue.SHOW_RENDER?.NEVER ?? 0;
      viewer.onLocationChange = (place) => say(place.string ?? "");
    }
    const wanted = `${study} ${labels && labelled}`;
    if (loaded !== wanted) {
      const begun = performance.now();
      const layers = [{ url: `volume/${study}.nii`, name: "volume.nii", colormap: "gray" }];
      if (labels && labelled) layers.push({ url: `labels/${study}.nii`, name: "labels.nii", colormap: "warm", opacity: 0.35 });
      say("reading the volume ...");
      await viewer.loadVolumes(layers);
      loaded = wanted;
      say(`ready in ${((performance.now() - begun) / 1000).toFixed(1)} s; drag in a plane to move the others`);
    }
    setVolumeWindow(level, width);
  } catch (error) {
    say(`three planes cannot be shown: ${error.message ?? error}`);
  }
}

export function setVolumeWindow(level, width) {
  if (!viewer?.volumes.length) return;
  viewer.volumes[0].cal_min = level - width / 2;
  viewer.volumes[0].cal_max = level + width / 2;
  viewer.updateGLVolume();
}

// Frames a second while the crosshair runs through the volume: what this machine's WebGL gives.
export async function measureFrames(count = 40) {
  if (!viewer?.volumes.length) return 0;
  const begun = performance.now();
  for (let k = 0; k < count; k++) {
    viewer.scene.crosshairPos = [0.5, 0.5, k / count];
    viewer.drawScene();
    viewer.gl.readPixels(0, 0, 1, 1, viewer.gl.RGBA, viewer.gl.UNSIGNED_BYTE, new Uint8Array(4)); // waits for the picture
    await new Promise(requestAnimationFrame);
  }
  return (1000 * count) / (performance.now() - begun);
}

export function current() { return viewer; }
