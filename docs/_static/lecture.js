// The lecture mode stays as it is from lesson to lesson and when a page is loaded again, in one tab.
addEventListener("pageshow", () => {
  const box = document.querySelector(".dhaps-lecture input");
  if (!box) return;
  if (sessionStorage.lecture) box.checked = sessionStorage.lecture === "on";
  box.onchange = () => { sessionStorage.lecture = box.checked ? "on" : "off"; };
});
