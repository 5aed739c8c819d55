// Three planes of a volume by NiiVue, which is loaded when it is first asked for.

const SOFTWARE_VOXELS = 2 ** 21;
let niivue = null, viewer = null, loaded = "", windowNow = "";

function loadNiivue() {
  return new Promise((done, failed) => {
    const script = Object.assign(document.createElement("script"), { src: "niivue.umd.js" });
    script.addEventListener("load", () => done(window.niivue));
    script.addEventListener("error", () => failed(new Error("niivue.umd.js did not come")));
    document.head.append(script);
  });
}

// Every so many-th sample along each axis: all of them on a graphics card, fewer where WebGL runs on the processor.
function stepFor(voxels) {
  const gl = document.createElement("canvas").getContext("webgl2"), about = gl.getExtension("WEBGL_debug_renderer_info");
  const name = about ? gl.getParameter(about.UNMASKED_RENDERER_WEBGL) : "";
  gl.getExtension("WEBGL_lose_context")?.loseContext();
  if (!/swiftshader|llvmpipe|software/i.test(name)) return 1;
  return [1, 2, 4].find((step) => voxels / step ** 3 <= SOFTWARE_VOXELS) ?? 4;
}

// Show the volume of a study in three planes at the window of the state; `say` gets one line about what happens.
export async function showVolume(canvas, { study, voxels, labelled, level, width, labels, say }) {
  try {
    if (!document.createElement("canvas").getContext("webgl2")) {
      say("This browser has no WebGL 2, which three planes need; slices work without it.");
      return;
    }
    if (!niivue) { say("loading ..."); niivue = await loadNiivue(); }
    if (!viewer) {
      viewer = new niivue.Niivue({ isResizeCanvas: true, backColor: [0, 0, 0, 1], show3Dcrosshair: false, crosshairWidth: 0.6, crosshairColor: [1, 0.7, 0.2, 0.8], isRadiologicalConvention: true, dragAndDropEnabled: false, loadingText: "", logLevel: "error" });
      await viewer.attachToCanvas(canvas);
      viewer.setSliceType(viewer.sliceTypeMultiplanar);
      viewer.setMultiplanarLayout?.(niivue.MULTIPLANAR_TYPE?.AUTO ?? 0);
      viewer.opts.multiplanarShowRender = niivue.SHOW_RENDER?.NEVER ?? 0;
      viewer.onLocationChange = (place) => say(place.string ?? "");
    }
    const wanted = `${study} ${labels && labelled}`;
    if (loaded !== wanted) {
      const begun = performance.now(), step = stepFor(voxels), range = { cal_min: level - width / 2, cal_max: level + width / 2 };
      const layers = [{ url: `volume/${study}.nii?step=${step}`, name: "volume.nii", colormap: "gray", ...range }];
      if (labels && labelled) layers.push({ url: `labels/${study}.nii?step=${step}`, name: "labels.nii", colormap: "warm", opacity: 0.35 });
      say("reading the volume ...");
      await viewer.loadVolumes(layers);
      loaded = wanted;
      windowNow = `${level} ${width}`;
      const less = step > 1 ? `; WebGL runs on the processor here, so every ${step === 2 ? "second" : "fourth"} sample is shown` : "";
      say(`ready in ${((performance.now() - begun) / 1000).toFixed(1)} s; drag in a plane to move the others${less}`);
    }
  } catch (error) {
    say(`three planes cannot be shown: ${error.message ?? error}`);
  }
}

export function setVolumeWindow(level, width) {
  if (!viewer?.volumes.length || windowNow === `${level} ${width}`) return;
  windowNow = `${level} ${width}`;
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
